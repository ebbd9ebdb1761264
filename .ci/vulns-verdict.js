// Reads what govulncheck found (-format json, on standard input) and says whether a release may have it:
//
//   node vulns-verdict.js go1.27.4 < findings.json
//
// It fails for a vulnerability that the server can reach if a version with the fix can be had, and names those without. It
// fails too if that Go was not what was judged, or if nothing was: no modules, or no entries of the standard library.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');

const [goVersion] = process.argv.slice(2);
const problems = [];

// govulncheck prints one indented object after another.
const messages = fs.readFileSync(0, 'utf8').split(/^}$/m).slice(0, -1).map((text) => JSON.parse(`${text}}`));
const all = (kind) => messages.filter((message) => message[kind]).map((message) => message[kind]);

const [config = {}] = all('config');
const modules = all('SBOM').flatMap((sbom) => sbom.modules);
const entries = all('osv');
const aboutGo = entries.filter((entry) => entry.affected.some(({ package: { name } }) => name === 'stdlib'));
if (config.scan_level !== 'symbol') problems.push('the scan did not look for symbols');
if (config.go_version !== goVersion) problems.push(`Go ${config.go_version} was judged, not ${goVersion}`);
if (modules.length < 2) problems.push('the scan did not load the modules of the server');
if (aboutGo.length === 0) problems.push('the database has nothing about the standard library');

const summary = (id) => entries.find((entry) => entry.id === id)?.summary;
const reachable = new Map();
const others = new Set();
for (const { osv, fixed_version: fixed, trace: [{ module, version, function: called }] } of all('finding')) {
  if (called) reachable.set(`${osv} ${module}`, { osv, module, version, fixed });
  else others.add(osv);
}
for (const { osv } of reachable.values()) others.delete(osv);

for (const { osv, module, version, fixed } of reachable.values()) {
  const what = `${osv} in ${module} ${version}: ${summary(osv)}`;
  if (!fixed) console.log(`no fix yet: ${what}`);
  else if (!canBeHad(module, fixed)) console.log(`fixed in ${fixed}, which cannot be had yet: ${what}`);
  else problems.push(`fixed in ${fixed}: ${what}`);
}
if (others.size) console.log(`in modules of the server, but not reachable: ${[...others].join(', ')}`);
console.log(`${goVersion}, ${modules.length} modules, ${entries.length} entries about them, ${reachable.size} reachable`);
for (const text of problems) console.log(`NOT ok: ${text}`);
process.exitCode = problems.length ? 1 : 0;

// canBeHad reports whether the go command finds a version: as a toolchain, or as a module.
function canBeHad(module, version) {
  const [args, GOTOOLCHAIN] = module === 'stdlib'
    ? [['version'], `go${version.slice(1)}`]
    : [['list', '-m', `${module}@${version}`], process.env.GOTOOLCHAIN];
  return spawnSync('go', args, { env: { ...process.env, ...(GOTOOLCHAIN && { GOTOOLCHAIN }) } }).status === 0;
}
