export default {
  projectName: 'project',
  designWidth: 750,
  sourceRoot: 'src',
  outputRoot: `dist/${process.env.COMPILER}`,
  framework: 'react',
  compiler: process.env.COMPILER, // webpack5 or vite
};
