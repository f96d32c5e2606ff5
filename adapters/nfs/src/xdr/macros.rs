//! Definitions that are their own codec: fields and variants are written once, in wire order.

/// A struct whose fields are encoded in order; `=> decode`, `=> encode` or `=> both` says which
/// directions exist.
macro_rules! xdr_struct {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $ty:ty),* $(,)? } => both) => {
        $crate::xdr::xdr_struct!(@define $(#[$meta])* $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* });
        $crate::xdr::xdr_struct!(@decode $name { $($field),* });
        $crate::xdr::xdr_struct!(@encode $name { $($field),* });
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $ty:ty),* $(,)? } => decode) => {
        $crate::xdr::xdr_struct!(@define $(#[$meta])* $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* });
        $crate::xdr::xdr_struct!(@decode $name { $($field),* });
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $ty:ty),* $(,)? } => encode) => {
        $crate::xdr::xdr_struct!(@define $(#[$meta])* $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* });
        $crate::xdr::xdr_struct!(@encode $name { $($field),* });
    };
    (@define $(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident: $ty:ty),* }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),* }
    };
    (@decode $name:ident { $($field:ident),* }) => {
        impl $crate::xdr::Decode for $name {
            fn decode(reader: &mut $crate::xdr::Reader) -> Result<Self, $crate::xdr::BadXdr> {
                let _ = &reader;
                Ok(Self { $($field: reader.read()?),* })
            }
        }
    };
    (@encode $name:ident { $($field:ident),* }) => {
        impl $crate::xdr::Encode for $name {
            fn encode(&self, writer: &mut $crate::xdr::Writer) {
                let _ = &writer;
                $(writer.write(&self.$field);)*
            }
        }
    };
}

/// An enum of plain numbers; decoding refuses any other number.
macro_rules! xdr_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:expr),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        $vis enum $name { $($(#[$vmeta])* $variant = $value),* }

        impl $crate::xdr::Decode for $name {
            fn decode(reader: &mut $crate::xdr::Reader) -> Result<Self, $crate::xdr::BadXdr> {
                let number: u32 = reader.read()?;
                $(if number == Self::$variant as u32 { return Ok(Self::$variant); })*
                Err($crate::xdr::BadXdr)
            }
        }

        impl $crate::xdr::Encode for $name {
            fn encode(&self, writer: &mut $crate::xdr::Writer) {
                writer.write(&(*self as u32));
            }
        }
    };
}

pub(crate) use {xdr_enum, xdr_struct};
