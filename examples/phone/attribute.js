// An attribute's value, and what to say where it is wrong.

const { interpolate } = require('./interpolation.js');
const { TemplateError } = require('./template-error.js');

/**
 * evaluator reads an attribute's value; an attribute without one is true.
 *
 * @returns {import('./expression.js').Evaluate}
 */
function evaluator({ value, line }) {
  return value === true ? () => true : interpolate(value, line);
}

/**
 * fail throws what is wrong in this line.
 *
 * @returns {never}
 */
function fail(problem, { line }) {
  throw new TemplateError(problem, line);
}

module.exports = { evaluator, fail };
