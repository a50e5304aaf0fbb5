//! Tells the linker that Node provides the Node-API.

fn main() {
    napi_build::setup();
}
