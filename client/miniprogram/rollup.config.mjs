// Builds the package: a file for require and one for import. They keep the comments, because the first one is also what people
// copy.

import { readFileSync } from 'node:fs';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const COMMENT = /^(?:\/\/.*\n)+\n/; // what a module is about
const TYPE_IMPORTS = /\/\*\*\s*(?:(?:\*\s*)?@import .*?\s*)+\*\/\n\n/g; // of other modules: in one file there are none

const [about] = COMMENT.exec(readFileSync(new URL('src/index.js', import.meta.url), 'utf8'));

/** oneFile makes a section of each module. */
const oneFile = {
  name: 'one-file',
  transform(code, id) {
    const section = id.endsWith('/index.js') ? code.replace(COMMENT, '') : code.replace('// ', '// --- ');
    return { code: section.replace(TYPE_IMPORTS, ''), map: null };
  },
};

const output = (file, format) => ({
  file, format, exports: 'named', esModule: false, strict: format === 'cjs', generatedCode: { preset: 'es2015', symbols: false },
  banner: about.replace('server.', `server, version ${version}.`).trimEnd() + '\n',
});

export default {
  input: 'src/index.js',
  treeshake: false,
  plugins: [oneFile],
  output: [output('dist/cjs/index.js', 'cjs'), output('dist/esm/index.mjs', 'es')],
};
