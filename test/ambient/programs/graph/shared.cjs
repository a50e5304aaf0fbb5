// CommonJS, of which Node keeps one instance.
exports.shared = {}
