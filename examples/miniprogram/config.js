// The one place that says where the wxlogin server is. A release needs https and a domain that is listed in the
// mini-program's admin console; project.config.json switches that check off in DevTools alone (urlCheck), so that a laptop
// will do.
module.exports = { server: 'http://127.0.0.1:8080' };
