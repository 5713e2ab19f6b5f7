// Light, dark, or as the system has it; on paper always light.
import { byId } from './dom.js'

const system = matchMedia('(prefers-color-scheme: dark)')
let wish = 'auto'
let printing = false

export const isPrinting = () => printing
export const isDark = () => !printing && (wish === 'auto' ? system.matches : wish === 'dark')

// token is a colour of the style sheet.
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim()

export function startTheme(changed) {
  const apply = () => {
    if (printing) document.documentElement.dataset.theme = 'light'
    else if (wish === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = wish
    changed()
  }
  byId('theme').addEventListener('change', (e) => { wish = e.target.value; apply() })
  system.addEventListener('change', apply)
  addEventListener('beforeprint', () => { printing = true; apply() })
  addEventListener('afterprint', () => { printing = false; apply() })
}
