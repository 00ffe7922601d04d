import { createHash } from 'node:crypto';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, isPracticeCredit } from '../../core/contract/money.ts';
import { answerWith } from './answer.ts';
import type { Route } from './server.ts';

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:42rem;margin:3rem auto;padding:0 1.25rem}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem}p,li,dd{overflow-wrap:anywhere}dt{font-weight:600}dd{margin:0 0 .75rem}
pre{padding:.75rem 1rem;border:1px solid;border-radius:.5rem;overflow-x:auto;opacity:.9}.rules{white-space:pre-wrap}`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** What a browser that opens the coordinator's address sees: who runs it, on what terms, and how to join. It needs no script. */
export function pageRoute(terms: NetworkTerms): Route {
  const page = joinPage(terms);
  return {
    methods: ['GET', 'HEAD'],
    path: '/',
    name: 'page',
    rate: { atOnce: 60, perSecond: 5 },
    answer(_request, response) {
      response.setHeader(
        'Content-Security-Policy',
        `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
      );
      answerWith(response, 200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(page) }, page);
    },
  };
}

function joinPage(terms: NetworkTerms): string {
  const say = (key: Parameters<typeof message>[0], params = {}) => escaped(message(key, params));
  const price = ({ unit, perUnit, note }: NetworkTerms['prices'][number]) => {
    const amount = `${formatBaseUnits(BigInt(perUnit), terms.decimals)} ${terms.symbol}`;
    return `<li>${say(`coordinator.page.per-${unit}`, { amount })}${note === '' ? '' : `: ${escaped(note)}`}</li>`;
  };
  const list = (items: readonly string[], none: string) => (items.length === 0 ? `<p>${none}</p>` : `<ul>${items.join('')}</ul>`);
  const facts: [string, string][] = [
    [say('coordinator.page.id'), escaped(terms.id)],
    [say('coordinator.page.contact'), terms.contact === '' ? say('coordinator.page.not-said') : escaped(terms.contact)],
    [say('coordinator.page.isolation'), terms.isolation.map((level) => say(`coordinator.page.isolation.${level}`)).join('; ')],
    [say('coordinator.page.hold-back'), say('coordinator.page.hold-back-time', { hours: Math.ceil(terms.holdBackMs / 3_600_000) })],
  ];
  const paid = isPracticeCredit(terms.asset) ? `<p>${say('coordinator.page.no-money')}</p>` : '';
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>${say('coordinator.page.title', { operator: terms.operator })}</title><style>${STYLE}</style></head><body><main>
<h1>${say('coordinator.page.title', { operator: terms.operator })}</h1><p>${say('coordinator.page.what')}</p>
<h2>${say('coordinator.page.join')}</h2><p>${say('coordinator.page.how')}</p><pre>hearthlend network join "hearthlend://join?…"</pre>
<h2>${say('coordinator.page.terms')}</h2><dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('')}</dl>
<h2>${say('coordinator.page.prices')}</h2>${paid}${list(terms.prices.map(price), say('coordinator.page.no-prices'))}
<h2>${say('coordinator.page.categories')}</h2>${list(
    terms.categories.map(({ title }) => `<li>${escaped(title)}</li>`),
    say('coordinator.page.not-said'),
  )}
<h2>${say('coordinator.page.rules')}</h2><p class="rules">${terms.rules === '' ? say('coordinator.page.not-said') : escaped(terms.rules)}</p>
</main></body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
