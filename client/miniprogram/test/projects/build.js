// Installs the packed client in the projects and builds them, in a folder outside of the repository:
//
//   node client/miniprogram/test/projects/build.js FOLDER
//
// The mini-programs are in FOLDER/mini-programs then. The other packages are those of the lock files. If the registry does not give
// one, the other projects are built; the exit code is 3 then, and the last line says what is missing. It takes a minute or two,
// and 1 GB.

const { execFile } = require('node:child_process');
const { cpSync, mkdirSync, renameSync } = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

/** The mini-programs that each project builds, and where. The project that takes longest comes first. */
const PROJECTS = {
  taro: { 'taro-webpack5': 'dist/webpack5', 'taro-vite': 'dist/vite' },
  typescript: { typescript: 'miniprogram' },
  'uni-app': { 'uni-app': 'dist/build/mp-weixin' },
};
const AT_ONCE = 2; // installs
const UNAVAILABLE = /^npm error code (E\d{3}|ETARGET|ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ERR_SOCKET_TIMEOUT)$/m;

const folder = path.resolve(process.argv[2]);
const run = promisify(execFile);

async function main() {
  mkdirSync(path.join(folder, 'mini-programs'), { recursive: true });
  const { stdout } = await npm(path.join(__dirname, '../..'), 'pack', '--silent', '--pack-destination', folder);
  const tarball = path.join(folder, stdout.trim().split('\n').pop());
  const names = Object.keys(PROJECTS);
  const missing = [];
  const work = async () => {
    for (let name = names.shift(); name; name = names.shift()) {
      const reason = await build(name, tarball);
      if (reason) missing.push(`${name} (${reason})`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (missing.length === 0) return;
  console.log(`npm does not give a package of ${missing.join(', ')}`);
  process.exitCode = 3;
}

/** build installs and builds a project. It returns npm's error code if a package cannot be had. */
async function build(name, tarball) {
  const project = path.join(folder, name);
  cpSync(path.join(__dirname, name), project, { recursive: true });
  const seconds = [];
  const timed = async (...args) => {
    const start = Date.now();
    await npm(project, ...args);
    seconds.push(`${args[0]} ${((Date.now() - start) / 1000).toFixed(1)} s`);
  };
  try {
    await timed('ci', '--ignore-scripts', '--prefer-offline');
    await timed('install', '--ignore-scripts', '--prefer-offline', tarball);
  } catch (err) {
    const [, reason] = UNAVAILABLE.exec(err.stderr) || [];
    if (reason) return reason;
    throw err;
  }
  await timed('run', 'build');
  for (const [miniProgram, output] of Object.entries(PROJECTS[name])) {
    renameSync(path.join(project, output), path.join(folder, 'mini-programs', miniProgram));
  }
  console.log(`${name}: npm ${seconds.join(', ')}`);
}

function npm(cwd, ...args) {
  return run('npm', args, { cwd, maxBuffer: 1 << 26 });
}

main().catch((err) => {
  console.log(err.stdout || '', err.stderr || '', err.stack);
  process.exitCode = 1;
});
