//! Where the data of a file lie, and how they will be used.

/// What a range of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Content {
    /// Data, which may be zeros too.
    Data = 1,
    /// Nothing was stored: all zeros.
    Hole = 2,
}

/// Answer of [`File::extent`](super::File::extent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// What is there.
    pub content: Content,
    /// Where it ends.
    pub end: u64,
}

/// How a range of a file will be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Advice {
    /// In no particular way.
    Normal = 0,
    /// From its beginning to its end.
    Sequential = 1,
    /// In no order.
    Random = 2,
    /// Soon.
    WillNeed = 3,
    /// Not soon.
    DontNeed = 4,
    /// Once.
    NoReuse = 5,
}
