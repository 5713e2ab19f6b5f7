import { drawCapacity } from './capacity.js'
import { drawCurves } from './curves.js'
import { byId } from './dom.js'
import { choose, facts, firstChoice, watch } from './facts.js'
import { drawHeat, startHeat } from './heat.js'
import { drawRatios, startRatios } from './ratios.js'
import { mark, startTable, tools } from './table.js'
import { startTheme } from './theme.js'
import { drawTime, startTime } from './time.js'
import { ownLanguage, speak } from './words.js'

const drawCharts = () => { drawCapacity(); drawCurves(); drawTime() }

// say draws everything that holds words.
function say(language) {
  speak(language)
  startTime()
  drawRatios()
  drawHeat()
  tools()
  mark()
  drawCharts()
}

startTable()
startRatios()
startHeat()
choose(firstChoice())
watch(mark)
watch(drawCharts)

byId('language').value = ownLanguage()
byId('language').addEventListener('change', (e) => say(e.target.value))
say(ownLanguage())
startTheme(drawCharts)
document.documentElement.classList.add('ready')

for (const a of document.querySelectorAll('a[data-finding]')) {
  a.addEventListener('click', () => choose(facts.choose[a.dataset.finding - 1] || []))
}
