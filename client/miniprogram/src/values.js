// What outside data is made of: a value of another type than expected counts as none.

/** @param {string} text */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (err) {
    return text;
  }
}

/**
 * recordOf is what can be asked for fields: the value, or, if that is no object, one without any.
 * @param {any} value
 * @returns {Record<string, any>}
 */
export function recordOf(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/** @param {any} value @returns {value is string} */
export function isText(value) {
  return typeof value === 'string';
}

/** @param {any} value */
export function textOf(value) {
  return isText(value) ? value : '';
}

/**
 * defined leaves out what is undefined: wx.request would send the text "undefined".
 * @param {Record<string, string | undefined>} fields
 */
export function defined(fields) {
  /** @type {Record<string, string | undefined>} */
  const given = {};
  for (const name of Object.keys(fields)) {
    if (fields[name] !== undefined) given[name] = fields[name];
  }
  return given;
}

/** @param {Promise<any> | null} promise */
export function settled(promise) {
  return Promise.resolve(promise).then(() => {}, () => {});
}
