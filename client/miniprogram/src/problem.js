// What every promise of the client rejects with.

/**
 * @typedef {object} ProblemFields
 * @property {number} status the HTTP status; 0 if there was no answer
 * @property {string} code the server's, or one of these: aborted (the request), file_gone (choose the picture again),
 *   foreign_url, logged_out, network (no answer), not_permitted (WeChat does not let this mini-program: its domains,
 *   privacy guide or permissions, in the admin console), not_set_up, nothing_to_save, phone_quota, refused (by the user),
 *   unknown (an answer that is not the server's), unsupported (WeChat is too old)
 * @property {string} action what helps, as the answer says: relogin, retry or none
 * @property {string} detail an English sentence for developers
 * @property {string} requestId to look for in the server's log
 * @property {number} retryAfter seconds; 0 if waiting does not help
 * @typedef {Error & ProblemFields} Problem
 */

/**
 * @param {Partial<ProblemFields>} fields
 * @returns {Problem}
 */
export function problemWith(fields) {
  const { status = 0, code = 'unknown', action = 'none', detail = '', requestId = '', retryAfter = 0 } = fields;
  return Object.assign(new Error(`wxlogin: ${code}`), { status, code, action, detail, requestId, retryAfter });
}

/** @param {any} err @returns {Problem} */
export function asProblem(err) {
  return err;
}

export function loggedOut() {
  return problemWith({ code: 'logged_out', detail: 'The user has logged out; call login().' });
}
