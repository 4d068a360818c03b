//! The JSON Schema that editors check manifests by.

use dv_types::Manifest;
use schemars::{Schema, generate::SchemaSettings};

/// The schema of a manifest.
pub(crate) fn schema() -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Manifest>();
    schema.insert("title".to_owned(), "dv deployment manifest".into());
    schema
}
