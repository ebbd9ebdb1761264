// The packed client, as a project sees it that installs it: its files, entry points, types and size.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { minify } = require('terser');

const MOST_BYTES = 12288; // minified
const root = path.join(__dirname, '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'wxlogin-client-'));
test.after(() => rmSync(folder, { recursive: true }));

const [{ filename, files }] = JSON.parse(run(root, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
const tarball = path.join(folder, filename);
const installed = path.join(folder, 'node_modules/wxlogin-client');
mkdirSync(installed, { recursive: true });
run(installed, 'tar', '-xzf', tarball, '--strip-components=1');

test('the package has the builds, their types and what npm shows, and nothing else', () => {
  assert.deepEqual(files.map((file) => file.path).sort(), [
    'LICENSE', 'README.md', 'dist/cjs/index.d.ts', 'dist/cjs/index.js', 'dist/esm/index.d.mts', 'dist/esm/index.mjs', 'package.json',
  ]);
  assert.equal(readFileSync(path.join(root, 'LICENSE'), 'utf8'), readFileSync(path.join(root, '../../LICENSE'), 'utf8'));
});

test('the README says how to install this version, and shows code that a project is built of', () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  assert.ok(readme.includes(`npm install ./${filename}\n`), filename);
  const [, code] = /^```js\n(.*?)^```$/ms.exec(readme);
  assert.equal(code, readFileSync(path.join(__dirname, 'projects/typescript/miniprogram/app.ts'), 'utf8'));
});

test('publint has nothing to say', async () => {
  const { publint } = await import('publint');
  const { messages } = await publint({ pkgDir: installed, strict: true, pack: false });
  assert.deepEqual(messages, []);
});

test('the types are those of the builds, for import and require', () => {
  run(root, 'node_modules/.bin/attw', tarball);
});

for (const [build, options] of [['dist/cjs/index.js', { toplevel: true }], ['dist/esm/index.mjs', { module: true }]]) {
  test(`${build} is small`, async () => {
    const { code } = await minify(readFileSync(path.join(root, build), 'utf8'), { compress: true, mangle: true, ...options });
    assert.ok(Buffer.byteLength(code) <= MOST_BYTES, `${Buffer.byteLength(code)} bytes`);
  });
}

const CONSUMER = `
import { downloadFile, isProblem, login, logout, onChange, Problem, request, setup, token, uploadFile } from 'wxlogin-client';

interface Order { id: number }

export async function main(uni: object): Promise<string> {
  setup({ server: 'https://login.example.com', maxWait: 5, platform: uni });
  // @ts-expect-error
  setup({ server: 5 });
  const { isNewUser, userInfo } = await login({ silent: true });
  // @ts-expect-error
  isNewUser.toFixed();
  await request({ url: '/userInfo', method: 'GET', header: { 'x-test': '1' } });
  const [{ id }] = await request<Order[]>({ url: '/orders' });
  // @ts-expect-error
  id.trim();
  const header = { Authorization: await token({ refused: await token() }) };
  const { filePath } = await downloadFile({ url: '/file', header });
  await uploadFile<Order>({ url: '/orders', filePath, name: 'file', formData: { id } });
  const stop: () => void = onChange(({ loggedIn }) => { if (!loggedIn) stop(); });
  await logout({ everywhere: true });
  return userInfo.nickName;
}

export function codeOf(err: unknown): string {
  const seconds: number = isProblem(err) ? err.retryAfter : 0;
  return err instanceof Problem && seconds === 0 ? err.code : '';
}
`;

const NEWEST = path.join(root, 'node_modules/typescript');
const OLD = path.dirname(createRequire(require.resolve('@arethetypeswrong/core')).resolve('typescript/package.json')); // a 5

for (const [compiler, resolution, module, extension] of [
  [NEWEST, 'node16', 'node16', 'mts'], [NEWEST, 'node16', 'node16', 'cts'],
  [NEWEST, 'nodenext', 'nodenext', 'mts'], [NEWEST, 'nodenext', 'nodenext', 'cts'], [NEWEST, 'bundler', 'esnext', 'ts'],
  [OLD, 'node10', 'commonjs', 'ts'], [OLD, 'node16', 'node16', 'mts'], [OLD, 'node16', 'node16', 'cts'],
]) {
  const { version } = require(path.join(compiler, 'package.json'));
  test(`TypeScript ${version} understands the types in a .${extension} file, with moduleResolution ${resolution}`, () => {
    const consumer = `consumer.${extension}`;
    writeFileSync(path.join(folder, consumer), CONSUMER);
    const project = `tsconfig.${extension}.json`;
    writeFileSync(path.join(folder, project), JSON.stringify({
      compilerOptions: {
        strict: true, noEmit: true, skipLibCheck: false, target: 'ES2018', lib: ['ES2018'], types: [],
        module, moduleResolution: resolution,
      },
      files: [consumer],
    }));
    run(folder, process.execPath, path.join(compiler, 'bin/tsc'), '--project', project);
  });
}

/** run returns what a program prints; what it prints when it fails is in the error. */
function run(cwd, program, ...args) {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (err) {
    throw new Error(`${program} ${args.join(' ')}: ${err.stdout}${err.stderr}`);
  }
}
