import { IntlMessageFormat } from 'intl-messageformat';
import { z } from 'zod';
import backends from '../../resources/locales/en/backends.json' with { type: 'json' };
import benchmark from '../../resources/locales/en/benchmark.json' with { type: 'json' };
import cli from '../../resources/locales/en/cli.json' with { type: 'json' };
import coordinator from '../../resources/locales/en/coordinator.json' with { type: 'json' };
import desktop from '../../resources/locales/en/desktop.json' with { type: 'json' };
import earnings from '../../resources/locales/en/earnings.json' with { type: 'json' };
import earningsPage from '../../resources/locales/en/earnings-page.json' with { type: 'json' };
import errors from '../../resources/locales/en/errors.json' with { type: 'json' };
import hardware from '../../resources/locales/en/hardware.json' with { type: 'json' };
import money from '../../resources/locales/en/money.json' with { type: 'json' };
import network from '../../resources/locales/en/network.json' with { type: 'json' };
import operator from '../../resources/locales/en/operator.json' with { type: 'json' };
import payments from '../../resources/locales/en/payments.json' with { type: 'json' };
import policy from '../../resources/locales/en/policy.json' with { type: 'json' };
import requests from '../../resources/locales/en/requests.json' with { type: 'json' };
import screen from '../../resources/locales/en/screen.json' with { type: 'json' };
import status from '../../resources/locales/en/status.json' with { type: 'json' };
import thisPc from '../../resources/locales/en/this-pc.json' with { type: 'json' };
import whenToWork from '../../resources/locales/en/when-to-work.json' with { type: 'json' };
import { asHearthlendError, type HearthlendError } from './errors.ts';

/**
 * The message catalogue: every string that a person reads, in ICU MessageFormat, one JSON file a place:
 * `backends` (what computes on GPUs), `errors` (what went wrong and what to do), `earnings` (what was earned, at the command line and in its errors), `status` (states and reasons, shown in every shell), `hardware` (what keeps a GPU from being used), `policy` (why it works as it does), `benchmark` (what was measured), `requests` (what is said to those who send work), `payments` (sending, and what the wallet's signer reads), `money` (the Wallet page's amounts), `earnings-page` (the page of that name), `cli`, `screen`, `this-pc` and `when-to-work` (the pages of those names), `coordinator` (the operator's side of a network), `operator` (a network's money and its operator's page), `network` (joined networks, in every shell), `desktop` (tray, dialogs and notifications of the desktop app).
 */
const en = {
  ...backends,
  ...errors,
  ...earnings,
  ...status,
  ...hardware,
  ...cli,
  ...screen,
  ...desktop,
  ...policy,
  ...thisPc,
  ...whenToWork,
  ...benchmark,
  ...requests,
  ...coordinator,
  ...network,
  ...operator,
  ...payments,
  ...money,
  ...earningsPage,
};
export type MessageKey = keyof typeof en;
export type MessageParams = Record<string, string | number>;

/** A message that travels: which one, and what to put into it. The reader's side has the words. */
export const MessageRef = z.strictObject({
  key: z.custom<MessageKey>((key) => typeof key === 'string' && Object.hasOwn(en, key)),
  params: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
});
export type MessageRef = z.infer<typeof MessageRef>;

const compiled = new Map<MessageKey, IntlMessageFormat>();

/** The words for a key, with its parameters put in. */
export function message(key: MessageKey, params: MessageParams = {}): string {
  let format = compiled.get(key);
  if (format === undefined) {
    format = new IntlMessageFormat(en[key], 'en', undefined, { ignoreTag: true });
    compiled.set(key, format);
  }
  return String(format.format(params));
}

export function messageOf(ref: MessageRef): string {
  return message(ref.key, ref.params);
}

/** A MessageRef, checked against the catalogue by the compiler. */
export function ref(key: MessageKey, params: MessageParams = {}): MessageRef {
  return { key, params };
}

/** What to tell a person about an error: what happened, what to do next, and the code to search for. */
export function describeError(thrown: unknown): { code: HearthlendError['code']; what: string; next: string } {
  const error = asHearthlendError(thrown);
  return { code: error.code, what: message(error.code, error.params), next: message(`${error.code}.next`, error.params) };
}
