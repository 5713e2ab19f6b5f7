// Bundles the report's script: src/main.js and the parts of ECharts it uses, as report.js.gz. With --check it writes
// nothing and fails where the file that is kept is not what the sources give.
import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const out = 'report.js.gz'
const notice = [
  'The charts are drawn by Apache ECharts, under the Apache License, Version 2.0, and its ZRender, under the BSD 3-Clause License.',
  ...['echarts.NOTICE', 'echarts', 'd3', 'zrender'].map((name) => readFileSync('licenses/' + name, 'utf8').trim()),
].join('\n\n')

const { outputFiles } = await build({
  entryPoints: ['src/main.js'],
  bundle: true,
  minify: true,
  write: false,
  format: 'iife',
  target: 'es2020',
  legalComments: 'none',
  banner: { js: '/*!\n' + notice + '\n*/' },
  define: { 'process.env.NODE_ENV': '"production"' },
})
const script = Buffer.from(outputFiles[0].contents)
if (/<\/script|<!--/i.test(script.toString())) {
  throw new Error('the script holds what would end or change its element in the page')
}
let kept = Buffer.alloc(0)
try {
  kept = gunzipSync(readFileSync(out))
} catch (e) {
  if (e.code !== 'ENOENT') throw e
}
if (kept.equals(script)) {
  console.log(`${out} is what the sources give: ${script.length} bytes`)
} else if (process.argv.includes('--check')) {
  console.error(`${out} is not what the sources give: make report-assets, and commit it`)
  process.exit(1)
} else {
  writeFileSync(out, gzipSync(script, { level: 9 }))
  console.log(`${out} written: ${script.length} bytes`)
}
