//! The adapter's side: what `export_adapter!` expands to.

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;

use super::module::{AdapterModule, AdapterModuleRef};
use super::shell;
use crate::Adapter;

pub use super::note::Note;
pub use abi_stable::library::LibHeader;

/// The one symbol of a library: how the host gets at its functions.
pub const fn header<A: Adapter>() -> LibHeader {
    // SAFETY: `construct` answers with an `AdapterModuleRef`.
    unsafe { LibHeader::from_constructor::<AdapterModuleRef>(construct::<A>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<A: Adapter>() -> RootModuleResult {
    __call_root_module_loader(module::<A>)
}

fn module<A: Adapter>() -> AdapterModuleRef {
    AdapterModule {
        schema: shell::schema::<A>,
        defaults: shell::defaults::<A>,
        check: shell::check::<A>,
        start: shell::start::<A>,
        #[cfg(sdk_next_minor)]
        addition: shell::addition,
    }
    .leak_into_prefix()
}

/// Makes the library that this is written in an adapter library: `export_adapter!(MyAdapter);`.
///
/// Once per library, whose crate type must be `cdylib`.
#[macro_export]
macro_rules! export_adapter {
    ($adapter:ty) => {
        const _: () = {
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::private::export::LibHeader =
                $crate::private::export::header::<$adapter>();

            #[used]
            #[unsafe(link_section = ".note.dittofs")]
            static NOTE: $crate::private::export::Note = $crate::private::export::Note::new(
                <$adapter as $crate::Adapter>::INFO,
                ::core::cfg!(panic = "unwind"),
            );
        };
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_symbol_is_the_one_that_is_looked_up() {
        assert_eq!(
            abi_stable::library::ROOT_MODULE_LOADER_NAME,
            "_1as_0lib_1header_0root_bmodule_bloader"
        );
    }
}
