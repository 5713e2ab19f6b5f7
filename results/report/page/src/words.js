// The page's words in English and Chinese. Elements with data-t hold one of them; claims and evidence stay English.
import { byId } from './dom.js'

const words = JSON.parse(byId('words').textContent)
const languages = ['en', 'zh']
let language = 0

// t is the message, with {0}, {1}, … filled in.
export function t(key, ...values) {
  const both = words[key]
  return both ? both[language].replace(/\{(\d)\}/g, (_, i) => values[i]) : key
}

// speak puts every message of the page into a language.
export function speak(name) {
  language = Math.max(0, languages.indexOf(name))
  document.documentElement.lang = languages[language]
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t(e.dataset.t)
  for (const e of document.querySelectorAll('[data-t-label]')) e.setAttribute('aria-label', t(e.dataset.tLabel))
}

// ownLanguage is what the browser asks for.
export const ownLanguage = () => (/^zh/i.test(navigator.language) ? 'zh' : 'en')
