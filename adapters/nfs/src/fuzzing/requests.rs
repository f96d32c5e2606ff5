//! Arguments written by the grammar, of what was learned from replies and of chance.

use super::choices::Choices;
use super::grammar::Rule;
use super::world::Known;
use crate::xdr::Writer;

const NAMES: [&str; 16] = [
    "a", "b", "c", "a", "b", "c", "a", "b", "c", "dir", "dir", "a name", "export", "long", "", "..",
];
/// Attributes of fixed size that are often asked for; then some that can be set.
const BITS: [u32; 12] = [0, 1, 3, 4, 8, 11, 19, 20, 33, 36, 52, 55];

/// Words one after the other.
pub(super) fn words_to(writer: &mut Writer, words: &[u32]) {
    for word in words {
        writer.write(word);
    }
}

/// Writes the arguments of one operation, number included. Sometimes they make no sense.
pub(super) fn write(rule: &Rule, known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    writer.write(&rule.number);
    known.begin(rule.number, pick);
    if pick.rarely(3) {
        writer.raw(pick.bytes(32));
        return;
    }
    for letter in rule.args.chars() {
        part(letter, known, pick, writer);
    }
}

fn parts(letters: &str, known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    for letter in letters.chars() {
        part(letter, known, pick, writer);
    }
}

fn part(letter: char, known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    match letter {
        'b' => writer.write(&pick.rarely(96)),
        'u' => writer.write(&pick.u32()),
        'f' => writer.write(&small(pick, &[0, 0, 0, 0, 0, 1, 2, 3])),
        'i' => writer.write(&small(pick, &[3, 3, 3, 1, 2])),
        'g' => writer.write(&pick.rarely(12)),
        'l' => writer.write(&small(pick, &[1, 2, 2, 3, 4])),
        'q' => writer.write(&known.owners.number(known.numbered, pick)),
        'Q' => writer.write(&known.lockers.number(known.numbered, pick)),
        'U' => writer.write(&pick.u64()),
        'o' => writer.opaque(known.owners.name()),
        'd' => writer.opaque(pick.bytes(64)),
        // Few, so that what is looked for was set before.
        'x' if pick.rarely(240) => writer.opaque(b"x"),
        'n' | 'x' => writer.opaque(name(pick)),
        's' => writer.raw(&known.stateid(pick)),
        'y' if pick.rarely(64) => writer.raw(&known.stateid(pick)),
        'y' => writer.raw(&[0; 16]),
        'O' if pick.rarely(16) => writer.write(&pick.u64()),
        'O' => writer.write(&u64::from(pick.rarely(64))),
        'h' => writer.opaque(&known.handle(pick)),
        'c' => writer.write(&known.client(pick)),
        'S' => writer.raw(&known.session(pick)),
        'v' => writer.raw(&known.verifier(pick)),
        'm' => bitmap(pick, writer),
        'a' => attributes(pick, writer),
        't' => parts("Uu", known, pick, writer),
        'z' => writer.raw(&pick.array::<16>()),
        'N' => channel(pick, writer),
        'P' => security(pick, writer),
        '0' | 'I' => writer.write(&0_u32),
        'T' => create_type(known, pick, writer),
        'L' => locker(known, pick, writer),
        'H' => open_how(known, pick, writer),
        'K' => open_claim(known, pick, writer),
        'A' => {
            let count = pick.below(4);
            writer.write(&(count as u32));
            (0..count).for_each(|_| part('s', known, pick, writer));
        }
        'R' => {
            let which = 1 + pick.below(3) as u32;
            writer.write(&which);
            if which == 1 {
                parts("UUso", known, pick, writer);
            }
        }
        'W' => {
            let which = [0, 1, 5, 2][pick.below(4)];
            writer.write(&which);
            if which == 1 {
                part('u', known, pick, writer);
            }
        }
        'M' => {
            writer.write(&(1 + pick.below(3) as u32));
            parts("oo", known, pick, writer);
        }
        other => panic!("no letter of arguments: {other}"),
    }
}

fn small(pick: &mut Choices<'_>, usual: &[u32]) -> u32 {
    if pick.rarely(8) {
        pick.u32()
    } else {
        pick.one_of(usual)
    }
}

pub(super) fn name<'a>(pick: &mut Choices<'a>) -> &'a [u8] {
    if pick.rarely(16) {
        pick.bytes(40)
    } else {
        NAMES[pick.below(NAMES.len())].as_bytes()
    }
}

fn bitmap(pick: &mut Choices<'_>, writer: &mut Writer) {
    if pick.rarely(32) {
        let words = pick.below(4);
        writer.write(&(words as u32));
        (0..words).for_each(|_| writer.write(&pick.u32()));
        return;
    }
    let mut words = [0_u32; 2];
    for _ in 0..pick.below(4) {
        let bit = BITS[pick.below(BITS.len())];
        words[bit as usize / 32] |= 1 << (bit % 32);
    }
    writer.write(&2_u32);
    words_to(writer, &words);
}

/// Mostly a size or a mode, or both.
fn attributes(pick: &mut Choices<'_>, writer: &mut Writer) {
    let mut values = Writer::default();
    let words = match pick.below(12) {
        2 => {
            values.write(&u64::from(pick.byte()));
            [1 << 4, 0, 0]
        }
        3 => {
            values.write(&(u32::from(pick.byte()) << 3));
            [0, 1 << 1, 0]
        }
        4 => {
            values.write(&pick.u64());
            values.write(&pick.u32());
            [1 << 4, 1 << 1, 0]
        }
        5 => {
            values.raw(pick.bytes(48));
            [pick.u32(), pick.u32(), 0]
        }
        // A mode and a creation mask.
        6 => {
            values.write(&(u32::from(pick.byte()) << 1));
            values.write(&(u32::from(pick.byte()) << 2));
            [0, 0, 1 << 17]
        }
        _ => [0, 0, 0],
    };
    writer.write(&3_u32);
    words_to(writer, &words);
    writer.opaque(values.as_slice());
}

/// channel_attrs4
fn channel(pick: &mut Choices<'_>, writer: &mut Writer) {
    let words = if pick.rarely(48) {
        [
            0,
            pick.u32(),
            pick.u32(),
            pick.u32(),
            pick.u32(),
            pick.u32(),
        ]
    } else {
        [0, 1 << 16, 1 << 16, 4096, 16, 4]
    };
    words_to(writer, &words);
    writer.write(&0_u32);
}

/// csa_sec_parms
fn security(pick: &mut Choices<'_>, writer: &mut Writer) {
    let count = pick.below(3);
    writer.write(&(count as u32));
    for _ in 0..count {
        if pick.rarely(128) {
            // AUTH_SYS: stamp, machine, user, group, groups.
            words_to(writer, &[1_u32, 0, 0, 7, 7, 0]);
        } else {
            writer.write(&0_u32);
        }
    }
}

/// createtype4
fn create_type(known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    let kind = [2, 5, 3, 4, 6, 7, 1, 9][pick.below(8)];
    writer.write(&kind);
    match kind {
        5 => part('n', known, pick, writer),
        3 | 4 => parts("uu", known, pick, writer),
        _ => {}
    }
}

/// locker4
fn locker(known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    if pick.rarely(128) {
        writer.write(&false);
        parts("sQ", known, pick, writer);
    } else {
        writer.write(&true);
        parts("qsQco", known, pick, writer);
    }
}

/// openflag4
fn open_how(known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    if pick.rarely(96) {
        writer.write(&0_u32);
        return;
    }
    let how = small(pick, &[0, 0, 0, 1, 2, 3]);
    writer.write(&1_u32);
    writer.write(&how);
    match how {
        2 => part('v', known, pick, writer),
        3 => parts("va", known, pick, writer),
        _ => part('a', known, pick, writer),
    }
}

/// open_claim4
fn open_claim(known: &mut Known, pick: &mut Choices<'_>, writer: &mut Writer) {
    let claim = small(pick, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 1, 2, 3, 5, 6]);
    writer.write(&claim);
    match claim {
        0 | 3 => part('n', known, pick, writer),
        1 => part('u', known, pick, writer),
        2 => parts("sn", known, pick, writer),
        5 => part('s', known, pick, writer),
        _ => {}
    }
}
