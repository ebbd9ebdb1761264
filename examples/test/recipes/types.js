// Checks the types of the recipes in TypeScript, Vue and React. For that, the script of a Vue component becomes a module beside it.

const { spawnSync } = require('node:child_process');
const { readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');

const folder = path.join(__dirname, 'uni-app');
const modules = readdirSync(folder).filter((name) => name.endsWith('.vue')).map((name) => {
  const [, script] = /^<script setup lang="ts">\n(.*?)^<\/script>/ms.exec(readFileSync(path.join(folder, name), 'utf8'));
  const file = path.join(folder, name + '.ts');
  writeFileSync(file, script);
  return file;
});
const { status } = spawnSync('tsc', ['--project', __dirname], { stdio: 'inherit' });
modules.forEach((file) => rmSync(file));
process.exitCode = status === 0 ? 0 : 1;
