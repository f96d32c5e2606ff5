//! A library with the manifest of an adapter that ends the process when it is loaded.
#![allow(unsafe_code)] // What a broken library does.

use dittofs_sdk::Info;
use dittofs_sdk::private::export::Note;

#[used]
// SAFETY: the section is one of notes.
#[unsafe(link_section = ".note.dittofs")]
static NOTE: Note = Note::new(
    Info {
        name: "crasher",
        version: "0.1.0",
        description: "Crashes when loaded.",
    },
    true,
);

#[used]
// SAFETY: the section is one of functions without arguments.
#[unsafe(link_section = ".init_array")]
static CRASH: extern "C" fn() = crash;

extern "C" fn crash() {
    std::process::abort();
}
