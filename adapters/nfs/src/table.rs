//! The operations of NFSv4: one row each, and nothing else in the tree lists them.
//!
//! A row gives number, name, the file that holds the operation, the minor versions that have
//! it, and flags. Dispatch, names, metrics labels and documentation come from here.

use std::pin::pin;

use crate::compound::{Cx, OpError, Operation, REFUSAL_MAX, encode_result};
use crate::ops;
use crate::status::Status;
use crate::types::Minor;
use crate::xdr::{BadXdr, Reader, Writer};

/// Which minor versions have an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minors {
    /// All of them.
    All,
    /// 4.0 alone: later ones answer NFS4ERR_NOTSUPP (RFC 8881 §17).
    Only40,
    /// 4.1 alone: 4.0 does not know the number, and later ones must not have it (RFC 7862 §13).
    Only41,
    /// 4.1 and later: 4.0 does not know the number.
    From41,
    /// 4.2 and later: those before do not know the number.
    From42,
}

/// What a minor version knows of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has it.
    Had,
    /// It must not have it, and says so by its name.
    Removed,
    /// It does not know the number.
    Unknown,
}

impl Minors {
    fn standing(self, minor: Minor) -> Standing {
        let (first, last) = match self {
            Self::All => (Minor::V40, Minor::HIGHEST),
            Self::Only40 => (Minor::V40, Minor::V40),
            Self::Only41 => (Minor::V41, Minor::V41),
            Self::From41 => (Minor::V41, Minor::HIGHEST),
            Self::From42 => (Minor::V42, Minor::HIGHEST),
        };
        if minor < first {
            Standing::Unknown
        } else if minor > last {
            Standing::Removed
        } else {
            Standing::Had
        }
    }

    /// Whether this minor version knows the number of such an operation.
    pub fn known_in(self, minor: Minor) -> bool {
        self.standing(minor) != Standing::Unknown
    }
}

/// What a row says of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Number on the wire.
    pub number: u32,
    /// Name as in the RFC, without `OP_`.
    pub name: &'static str,
    /// File under `ops/`.
    pub module: &'static str,
    /// Minor versions that have it.
    pub minors: Minors,
    /// What holds for it.
    pub flags: Flags,
}

/// What holds for an operation, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// None of the others.
    pub const PLAIN: Self = Self(0);
    /// Without a current file handle it answers NFS4ERR_NOFILEHANDLE.
    pub const NEEDS_FH: Self = Self(1);
    /// It changes something, so that the room for its reply is checked before it runs.
    pub const MODIFIES: Self = Self(2);
    /// It may stand without SEQUENCE, alone in its COMPOUND (RFC 8881 §2.10.2.1).
    pub const LONE: Self = Self(4);
    /// It may not stand after SEQUENCE either.
    pub const ALWAYS_ALONE: Self = Self(8);

    /// Executed twice it would fail or undo what others did since, and in 4.0 nothing else keeps a
    /// repetition from being executed.
    pub const ONCE: Self = Self(16);

    /// So frequent and so small that its arguments, and its state while it runs, are part of its COMPOUND's. Those of
    /// the others have places of their own, so that they are not moved around with every COMPOUND.
    pub const IN_PLACE: Self = Self(32);

    /// It changes nothing and no time of last access: the current object's attributes are after it what they were, or
    /// those that it says.
    pub const LOOKS: Self = Self(64);

    /// It asks no file system and waits for nobody, so that it takes as long as a look at the clock. There is none at its
    /// end: what it took counts as time of the one after it.
    pub const BRIEF: Self = Self(128);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Number of the first row.
pub const FIRST: u32 = 3;
/// OP_ILLEGAL: what the result of an unknown operation is called.
pub const OP_ILLEGAL: u32 = 10044;

/// Where the arguments of an operation live: those of the rare ones apart, so that what is read, sorted and run of the
/// frequent ones is small.
macro_rules! args {
    ([IN_PLACE $($rest:ident)*] $args:ty) => { $args };
    ([$flag:ident $($rest:ident)*] $args:ty) => { args!([$($rest)*] $args) };
    ([] $args:ty) => { Box<$args> };
}

/// Where the state of a running operation lives.
macro_rules! place {
    ([IN_PLACE $($rest:ident)*] $run:expr) => { pin!($run) };
    ([$flag:ident $($rest:ident)*] $run:expr) => { place!([$($rest)*] $run) };
    ([] $run:expr) => { Box::pin($run) };
}

macro_rules! ops {
    ($($number:literal $name:ident $variant:ident $module:ident $minors:ident [$($flag:ident)*];)*) => {
        /// One decoded operation of a COMPOUND.
        #[derive(Debug)]
        pub enum Op {
            $(#[doc = concat!("OP_", stringify!($name))] $variant(args!([$($flag)*] ops::$module::Args)),)*
            /// An operation that this minor version must not implement; nothing after its number was read.
            NotInMinor(&'static Row),
            /// Arguments that could not be read; nothing after them was.
            Malformed(&'static Row),
            /// A number that this minor version does not know; nothing after it was read.
            Illegal,
        }

        /// All operations in the order of their numbers.
        pub static ROWS: &[Row] = &[
            $(Row {
                number: $number,
                name: stringify!($name),
                module: stringify!($module),
                minors: Minors::$minors,
                flags: Flags::PLAIN$(.or(Flags::$flag))*,
            },)*
        ];

        impl Row {
            /// Appends what follows `status` in the result of this operation when it is refused
            /// without having run.
            pub fn encode_refusal_body(&self, status: Status, writer: &mut Writer) {
                match self.number {
                    $($number => <ops::$module::Args as Operation>::Err::from(status).encode_body(writer),)*
                    _ => {}
                }
            }
        }

        impl Op {
            /// Reads the arguments of the operation that `row` describes.
            fn decode_args(row: &'static Row, reader: &mut Reader) -> Result<Self, BadXdr> {
                match row.number {
                    $($number => reader.read().map(Self::$variant),)*
                    _ => Err(BadXdr),
                }
            }

            /// The row of an operation that this minor version knows.
            pub fn row(&self) -> Option<&'static Row> {
                match self {
                    $(Self::$variant(_) => row($number),)*
                    Self::NotInMinor(row) | Self::Malformed(row) => Some(row),
                    Self::Illegal => None,
                }
            }

            /// An upper bound of the encoded size of its result body, in bytes.
            pub fn reply_room(&self) -> usize {
                match self {
                    $(Self::$variant(args) => args.reply_room(),)*
                    Self::NotInMinor(_) | Self::Malformed(_) | Self::Illegal => REFUSAL_MAX,
                }
            }

            /// Runs it and encodes the status and body of its result.
            pub async fn run(self, cx: &mut Cx) -> Status {
                match self {
                    $(Self::$variant(args) => {
                        let start = cx.reply.position();
                        let result = place!([$($flag)*] args.run(cx)).await;
                        encode_result(cx, start, result)
                    })*
                    Self::NotInMinor(_) => encode_result::<(), Status>(cx, cx.reply.position(), Err(Status::Notsupp)),
                    Self::Malformed(row) => {
                        let status = encode_result::<(), Status>(cx, cx.reply.position(), Err(Status::Badxdr));
                        row.encode_refusal_body(status, &mut cx.reply);
                        status
                    }
                    Self::Illegal => encode_result::<(), Status>(cx, cx.reply.position(), Err(Status::OpIllegal)),
                }
            }
        }
    };
}

ops! {
     3 ACCESS               Access              access               All    [NEEDS_FH IN_PLACE LOOKS];
     4 CLOSE                Close               close                All    [NEEDS_FH MODIFIES IN_PLACE];
     5 COMMIT               Commit              commit               All    [NEEDS_FH];
     6 CREATE               Create              create               All    [NEEDS_FH MODIFIES ONCE];
     7 DELEGPURGE           DelegPurge          delegpurge           All    [];
     8 DELEGRETURN          DelegReturn         delegreturn          All    [NEEDS_FH MODIFIES ONCE];
     9 GETATTR              GetAttr             getattr              All    [NEEDS_FH IN_PLACE LOOKS];
    10 GETFH                GetFh               getfh                All    [NEEDS_FH IN_PLACE LOOKS BRIEF];
    11 LINK                 Link                link                 All    [NEEDS_FH MODIFIES ONCE];
    12 LOCK                 Lock                lock                 All    [NEEDS_FH MODIFIES];
    13 LOCKT                LockT               lockt                All    [NEEDS_FH];
    14 LOCKU                LockU               locku                All    [NEEDS_FH MODIFIES];
    15 LOOKUP               Lookup              lookup               All    [NEEDS_FH IN_PLACE LOOKS];
    16 LOOKUPP              LookupP             lookupp              All    [NEEDS_FH LOOKS];
    17 NVERIFY              NVerify             nverify              All    [NEEDS_FH];
    18 OPEN                 Open                open                 All    [NEEDS_FH MODIFIES];
    19 OPENATTR             OpenAttr            openattr             All    [NEEDS_FH MODIFIES];
    20 OPEN_CONFIRM         OpenConfirm         open_confirm         Only40 [NEEDS_FH MODIFIES];
    21 OPEN_DOWNGRADE       OpenDowngrade       open_downgrade       All    [NEEDS_FH MODIFIES];
    22 PUTFH                PutFh               putfh                All    [IN_PLACE BRIEF];
    23 PUTPUBFH             PutPubFh            putpubfh             All    [];
    24 PUTROOTFH            PutRootFh           putrootfh            All    [IN_PLACE BRIEF];
    25 READ                 Read                read                 All    [NEEDS_FH IN_PLACE];
    26 READDIR              ReadDir             readdir              All    [NEEDS_FH];
    27 READLINK             ReadLink            readlink             All    [NEEDS_FH];
    28 REMOVE               Remove              remove               All    [NEEDS_FH MODIFIES ONCE];
    29 RENAME               Rename              rename               All    [NEEDS_FH MODIFIES ONCE];
    30 RENEW                Renew               renew                Only40 [IN_PLACE BRIEF];
    31 RESTOREFH            RestoreFh           restorefh            All    [IN_PLACE BRIEF];
    32 SAVEFH               SaveFh              savefh               All    [NEEDS_FH IN_PLACE LOOKS BRIEF];
    33 SECINFO              SecInfo             secinfo              All    [NEEDS_FH];
    34 SETATTR              SetAttr             setattr              All    [NEEDS_FH MODIFIES ONCE];
    35 SETCLIENTID          SetClientId         setclientid          Only40 [MODIFIES ONCE];
    36 SETCLIENTID_CONFIRM  SetClientIdConfirm  setclientid_confirm  Only40 [MODIFIES];
    37 VERIFY               Verify              verify               All    [NEEDS_FH];
    38 WRITE                Write               write                All    [NEEDS_FH MODIFIES IN_PLACE];
    39 RELEASE_LOCKOWNER    ReleaseLockOwner    release_lockowner    Only40 [MODIFIES];
    40 BACKCHANNEL_CTL      BackchannelCtl      backchannel_ctl      From41 [MODIFIES];
    41 BIND_CONN_TO_SESSION BindConnToSession   bind_conn_to_session From41 [MODIFIES LONE ALWAYS_ALONE];
    42 EXCHANGE_ID          ExchangeId          exchange_id          From41 [MODIFIES LONE];
    43 CREATE_SESSION       CreateSession       create_session       From41 [MODIFIES LONE];
    44 DESTROY_SESSION      DestroySession      destroy_session      From41 [MODIFIES LONE];
    45 FREE_STATEID         FreeStateId         free_stateid         From41 [MODIFIES];
    46 GET_DIR_DELEGATION   GetDirDelegation    get_dir_delegation   From41 [NEEDS_FH MODIFIES];
    47 GETDEVICEINFO        GetDeviceInfo       getdeviceinfo        From41 [];
    48 GETDEVICELIST        GetDeviceList       getdevicelist        Only41 [NEEDS_FH];
    49 LAYOUTCOMMIT         LayoutCommit        layoutcommit         From41 [NEEDS_FH MODIFIES];
    50 LAYOUTGET            LayoutGet           layoutget            From41 [NEEDS_FH MODIFIES];
    51 LAYOUTRETURN         LayoutReturn        layoutreturn         From41 [MODIFIES];
    52 SECINFO_NO_NAME      SecInfoNoName       secinfo_no_name      From41 [NEEDS_FH];
    53 SEQUENCE             Sequence            sequence             From41 [IN_PLACE BRIEF];
    54 SET_SSV              SetSsv              set_ssv              From41 [MODIFIES];
    55 TEST_STATEID         TestStateId         test_stateid         From41 [];
    56 WANT_DELEGATION      WantDelegation      want_delegation      From41 [NEEDS_FH MODIFIES];
    57 DESTROY_CLIENTID     DestroyClientId     destroy_clientid     From41 [MODIFIES LONE];
    58 RECLAIM_COMPLETE     ReclaimComplete     reclaim_complete     From41 [MODIFIES];
    59 ALLOCATE             Allocate            allocate             From42 [NEEDS_FH MODIFIES];
    60 COPY                 Copy                copy                 From42 [NEEDS_FH MODIFIES];
    61 COPY_NOTIFY          CopyNotify          copy_notify          From42 [NEEDS_FH MODIFIES];
    62 DEALLOCATE           Deallocate          deallocate           From42 [NEEDS_FH MODIFIES];
    63 IO_ADVISE            IoAdvise            io_advise            From42 [NEEDS_FH];
    64 LAYOUTERROR          LayoutError         layouterror          From42 [NEEDS_FH MODIFIES];
    65 LAYOUTSTATS          LayoutStats         layoutstats          From42 [NEEDS_FH MODIFIES];
    66 OFFLOAD_CANCEL       OffloadCancel       offload_cancel       From42 [MODIFIES];
    67 OFFLOAD_STATUS       OffloadStatus       offload_status       From42 [];
    68 READ_PLUS            ReadPlus            read_plus            From42 [NEEDS_FH];
    69 SEEK                 Seek                seek                 From42 [NEEDS_FH];
    70 WRITE_SAME           WriteSame           write_same           From42 [NEEDS_FH MODIFIES];
    71 CLONE                Clone               clone                From42 [NEEDS_FH MODIFIES];
    72 GETXATTR             GetXattr            getxattr             From42 [NEEDS_FH];
    73 SETXATTR             SetXattr            setxattr             From42 [NEEDS_FH MODIFIES];
    74 LISTXATTRS           ListXattrs          listxattrs           From42 [NEEDS_FH];
    75 REMOVEXATTR          RemoveXattr         removexattr          From42 [NEEDS_FH MODIFIES];
}

/// The row of operation `number`. Rows stand in the order of their numbers, from [`FIRST`].
pub fn row(number: u32) -> Option<&'static Row> {
    let row = ROWS.get(number.checked_sub(FIRST)? as usize)?;
    (row.number == number).then_some(row)
}

impl Op {
    /// Reads the next operation of a COMPOUND of this minor version. What can't be read is
    /// an operation too, one that fails when its turn comes.
    pub fn decode(minor: Minor, reader: &mut Reader) -> Result<Self, BadXdr> {
        let number: u32 = reader.read()?;
        let Some(row) = row(number) else {
            return Ok(Self::Illegal);
        };
        Ok(match row.minors.standing(minor) {
            Standing::Had => Self::decode_args(row, reader).unwrap_or(Self::Malformed(row)),
            Standing::Removed => Self::NotInMinor(row),
            Standing::Unknown => Self::Illegal,
        })
    }

    /// Whether nothing after it could be read.
    pub fn ends_decoding(&self) -> bool {
        matches!(
            self,
            Self::NotInMinor(_) | Self::Malformed(_) | Self::Illegal
        )
    }

    /// The status of an operation that can't be run at all.
    pub fn refusal(&self) -> Option<Status> {
        match self {
            Self::NotInMinor(_) => Some(Status::Notsupp),
            Self::Malformed(_) => Some(Status::Badxdr),
            Self::Illegal => Some(Status::OpIllegal),
            _ => None,
        }
    }

    /// What holds for it; nothing where the operation does not exist.
    pub fn flags(&self) -> Flags {
        match self {
            Self::NotInMinor(_) => Flags::PLAIN,
            op => op.row().map_or(Flags::PLAIN, |row| row.flags),
        }
    }

    /// Whether its row has all of `flags`.
    pub fn has(&self, flags: Flags) -> bool {
        self.flags().contains(flags)
    }

    /// The number of its result on the wire.
    pub fn result_number(&self) -> u32 {
        self.row().map_or(OP_ILLEGAL, |row| row.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_fits_where_one_is_expected() {
        for row in ROWS {
            for status in [
                Status::RepTooBig,
                Status::RepTooBigToCache,
                Status::Nofilehandle,
                Status::Notsupp,
                Status::Badxdr,
                Status::SequencePos,
                Status::NotOnlyOp,
                Status::RetryUncachedRep,
                Status::Serverfault,
            ] {
                let mut writer = Writer::default();
                writer.write(&row.number);
                writer.write(&status);
                row.encode_refusal_body(status, &mut writer);
                assert!(writer.position() <= REFUSAL_MAX, "{}", row.name);
            }
        }
    }

    /// Bytes of the state of a running operation, by the number of its row.
    macro_rules! states {
        ($($module:ident)*) => {
            [$((stringify!($module), state(<ops::$module::Args as Operation>::run)),)*]
        };
    }

    fn state<A, F>(_: fn(A, &'static mut Cx) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_runs_in_place_is_small() {
        for (module, bytes) in states!(
            access close getattr getfh lookup putfh putrootfh read renew restorefh savefh sequence write
        ) {
            assert!(bytes <= 640, "{module}: {bytes}");
        }
        let in_place = ROWS
            .iter()
            .filter(|row| row.flags.contains(Flags::IN_PLACE));
        assert_eq!(in_place.count(), 13);
    }

    #[test]
    fn rows_stand_in_the_order_of_their_numbers_without_a_gap() {
        for (i, row) in ROWS.iter().enumerate() {
            assert_eq!(row.number as usize, i + 3, "{}", row.name);
            assert_eq!(super::row(row.number), Some(row));
        }
        assert_eq!(super::row(2), None);
        assert_eq!(super::row(76), None);
        assert_eq!(super::row(u32::MAX), None);
    }
}
