// "Build npm" of WeChat's developer tools. The command of miniprogram-ci for that, pack-npm-manually, ends before it is done.

const path = require('node:path');
const { packNpmManually } = require('miniprogram-ci');

packNpmManually({
  packageJsonPath: path.join(__dirname, 'package.json'),
  miniprogramNpmDistDir: path.join(__dirname, 'miniprogram'),
}).then(({ miniProgramPackNum, warnList }) => {
  if (miniProgramPackNum !== 1 || warnList.length > 0) throw new Error(JSON.stringify(warnList));
});
