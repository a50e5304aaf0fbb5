// A module of an application that is loaded before the globals are installed.
globalThis.captured = Date.now
