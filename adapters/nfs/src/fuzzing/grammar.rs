//! The operations of NFSv4.0, 4.1 and 4.2 as words: one letter a part of the XDR.
//! RFC 7531, RFC 5662, RFC 7863, RFC 8276.
//!
//! | letter | in arguments and results |
//! |---|---|
//! | `b` `u` `U` | bool, 32 and 64 bits |
//! | `o` `d` `n` | opaque: an owner, data, a name |
//! | `s` `h` `c` `S` `v` | stateid, file handle, client id, session id, verifier |
//! | `m` `a` | bitmap, attributes |
//! | `t` `z` | time, device id |
//! | `N` `P` `I` | channel attributes, callback security, implementation id |
//!
//! | letter | in arguments |
//! |---|---|
//! | `f` `i` `l` `g` | a small number, kinds of access, a lock type, whether it is a reclaim |
//! | `q` `Q` | a number in the sequence of an open-owner and of a lock-owner |
//! | `0` `x` | a union or an optional without anything; the name of an extended attribute |
//! | `T` `L` `H` `K` | the unions of CREATE, LOCK, OPEN (how and by what claim) |
//! | `A` `R` `W` `M` | stateids, what LAYOUTRETURN returns, the claim of WANT_DELEGATION, a server's place |
//!
//! | letter | in results |
//! |---|---|
//! | `C` `D` `F` `E` | change of a directory, delegation, security flavors, directory entries |
//! | `B` `G` `X` `Z` | numbers, GET_DIR_DELEGATION's answer, protection of state, optional size |
//! | `Y` `V` `J` | an optional stateid, data and holes, names |

/// One operation.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) number: u32,
    pub(super) args: &'static str,
    /// What follows the status NFS4_OK.
    pub(super) ok: &'static str,
    /// What follows another status, if it is this one (0: any).
    pub(super) refusal: Option<(u32, &'static str)>,
}

const fn rule(number: u32, args: &'static str, ok: &'static str) -> Rule {
    Rule {
        number,
        args,
        ok,
        refusal: None,
    }
}

const fn but(rule: Rule, status: u32, body: &'static str) -> Rule {
    Rule {
        refusal: Some((status, body)),
        ..rule
    }
}

const DENIED: u32 = 10010;
const CLID_INUSE: u32 = 10017;
const TOOSMALL: u32 = 10005;
const LAYOUTTRYLATER: u32 = 10058;
const OFFLOAD_NO_REQS: u32 = 10094;

pub(super) const RULES: &[Rule] = &[
    rule(3, "u", "uu"),
    rule(4, "qs", "s"),
    rule(5, "Uu", "v"),
    rule(6, "Tna", "Cm"),
    rule(7, "c", ""),
    rule(8, "s", ""),
    rule(9, "m", "a"),
    rule(10, "", "h"),
    rule(11, "n", "C"),
    but(rule(12, "lgUUL", "s"), DENIED, "UUuco"),
    but(rule(13, "lUUco", ""), DENIED, "UUuco"),
    rule(14, "lQsUU", "s"),
    rule(15, "n", ""),
    rule(16, "", ""),
    rule(17, "a", ""),
    rule(18, "qifcoHK", "sCumD"),
    rule(19, "b", ""),
    rule(20, "sq", "s"),
    rule(21, "sqif", "s"),
    rule(22, "h", ""),
    rule(23, "", ""),
    rule(24, "", ""),
    rule(25, "sUu", "bd"),
    rule(26, "Uvuum", "vE"),
    rule(27, "", "o"),
    rule(28, "n", "C"),
    rule(29, "nn", "CC"),
    rule(30, "c", ""),
    rule(31, "", ""),
    rule(32, "", ""),
    rule(33, "n", "F"),
    but(rule(34, "sa", "m"), 0, "m"),
    but(rule(35, "vounnu", "cv"), CLID_INUSE, "nn"),
    rule(36, "cv", ""),
    rule(37, "a", ""),
    rule(38, "sUfd", "uuv"),
    rule(39, "co", ""),
    rule(40, "uP", ""),
    rule(41, "Sub", "Sub"),
    rule(42, "vou0I", "cuuXUooI"),
    rule(43, "cuuNNuP", "SuuNN"),
    rule(44, "S", ""),
    rule(45, "s", ""),
    rule(46, "bmttmm", "G"),
    but(rule(47, "zuum", ""), TOOSMALL, "u"),
    rule(48, "uuUv", ""),
    rule(49, "UUbs000uo", "Z"),
    but(rule(50, "buuUUUsu", ""), LAYOUTTRYLATER, "b"),
    rule(51, "buuR", ""),
    rule(52, "f", "F"),
    rule(53, "Suuub", "Suuuuu"),
    rule(54, "dd", "d"),
    rule(55, "A", "B"),
    rule(56, "uW", "D"),
    rule(57, "c", ""),
    rule(58, "b", ""),
    rule(59, "sUU", ""),
    but(rule(60, "yyOOObb0", "YUuvbb"), OFFLOAD_NO_REQS, "bb"),
    rule(61, "sM", ""),
    rule(62, "sUU", ""),
    rule(63, "sUUm", "m"),
    rule(64, "UUs0", ""),
    rule(65, "UUsUUUUzuo", ""),
    rule(66, "s", ""),
    rule(67, "s", "UB"),
    rule(68, "sUu", "bV"),
    rule(69, "sUf", "bU"),
    rule(70, "sfUUUUuUd", ""),
    rule(71, "ssUUU", ""),
    rule(72, "x", "d"),
    rule(73, "fxd", "C"),
    rule(74, "Uu", "UJb"),
    rule(75, "x", "C"),
];

/// Operations of 4.0 whose owners count them.
pub(super) const COUNTED: [u32; 6] = [4, 12, 14, 18, 20, 21];

/// Refusals after which an owner does not count on (RFC 7530 §9.1.7).
pub(super) const UNCOUNTED: [u32; 7] = [10018, 10020, 10022, 10023, 10025, 10026, 10036];

/// The rule of an operation.
pub(super) fn of(number: u32) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.number == number)
}
