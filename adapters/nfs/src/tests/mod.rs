//! What holds for the adapter as a whole: all minor versions side by side, over real connections;
//! and what its source and documents owe each other.

mod access_control_lists;
mod answers_are_listed;
mod attribute_values;
mod attributes_seen;
mod back_pressure;
mod client_records;
mod clones;
mod concurrent_mixed_traffic;
mod creation_masks;
mod current_stateid;
mod exactly_once;
mod extended_attributes;
mod fence;
mod many_to_many;
mod minor_version_2;
mod optional_operations;
mod rfc_map;
mod settings_have_readers;
mod sources;
mod sparse_files;
mod v40_regression;
mod v40_v41_coexistence;
mod version_range_gating;
