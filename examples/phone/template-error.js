// What is wrong with a WXML file.

/** TemplateError says in its message what is wrong, and in line where; parse adds the file. */
class TemplateError extends Error {
  /**
   * @param {string} problem
   * @param {number} line counted from 1
   * @param {string} [file]
   */
  constructor(problem, line, file = '') {
    super(`${file ? file + ':' : 'line '}${line}: ${problem}`);
    this.name = 'TemplateError';
    this.problem = problem;
    this.line = line;
    this.file = file;
  }
}

module.exports = { TemplateError };
