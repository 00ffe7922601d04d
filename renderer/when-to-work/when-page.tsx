import { useEffect, useState } from 'react';
import { asHearthlendError, type HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { PolicyStatus } from '../../core/contract/policy.ts';
import { PRESET_NAMES, type Rules, type RulesChange } from '../../core/contract/rules.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { useAgent } from '../agent/agent.ts';
import type { AppState } from '../agent/app-state.ts';
import { RetryCountdown } from '../frame/retry.tsx';
import { Day } from '../home/day.tsx';
import { say, sayError } from '../words/say.ts';
import { timeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { type Change, Fields } from './field-view.tsx';
import { type Field, HEAT, IN_USE, OTHERS, POWER, QUIET } from './fields.ts';
import { asideSince, rulesTitle, toldDecision } from './headline.ts';
import { Hours } from './hours.tsx';
import { Pauses } from './pauses.tsx';
import { Programs } from './programs.tsx';

const HOUR_MS = 3_600_000;

/** When do I work, and when do I step aside? */
export function WhenPage({ state, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  const { policy } = useAgent();
  const act = useAct();
  const [trouble, setTrouble] = useState<HearthlendError | null>(null);
  const live = state.link.name === 'live';
  const { since } = snapshot.state;
  // Whenever the state is another, so is the decision behind it, and maybe the last pause.
  useEffect(() => {
    if (!live || since < 0) return;
    policy.refresh().then(
      () => setTrouble(null),
      (thrown: unknown) => setTrouble(asHearthlendError(thrown)),
    );
  }, [policy, live, since]);

  const { when } = state;
  if (when === null && trouble !== null) return <Unknown trouble={trouble} />;
  if (when === null) return <h1 role="status">{message('when.looking')}</h1>;
  const { rules, status, pauses } = when;
  const change: Change = (sections) => {
    if (live) void act.run(() => policy.change(sections));
  };
  const aside = asideSince(pauses, snapshot.day.start);
  return (
    <div className={live ? 'when' : 'when stale'}>
      <div className="top">
        <div>
          <h1>{rulesTitle(rules)}</h1>
          <Now status={status} />
          {!live && (
            <p role="status">
              {message('screen.link.lost')}. <RetryCountdown link={state.link} />
            </p>
          )}
        </div>
        <p className="number">
          <b>{aside.count}</b>{' '}
          {aside.yieldMs === null
            ? message('when.aside', { count: aside.count })
            : message('when.aside-in', { count: aside.count, ms: Math.round(aside.yieldMs) })}
        </p>
      </div>
      <Orders status={status} live={live} agentState={snapshot.state.name} />
      <Day day={snapshot.day} />
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      <Presets rules={rules} onChange={change} />
      <div className="pair rules">
        <div className="side-by">
          <Group title="when.group.in-use" fields={IN_USE} rules={rules} onChange={change} />
          <Programs rules={rules} status={status} onChange={change} />
          <Group title="when.group.others" fields={OTHERS} rules={rules} onChange={change} />
        </div>
        <div className="side-by">
          <Times rules={rules} onChange={change} />
          <Group title="when.group.heat" fields={HEAT} rules={rules} onChange={change} />
          <Money rules={rules} onChange={change} />
        </div>
      </div>
      <Pauses pauses={pauses} />
    </div>
  );
}

function Unknown({ trouble }: { trouble: HearthlendError }): React.ReactNode {
  const { what, next, code } = sayError(trouble);
  return (
    <div className="when" role="alert">
      <h1>{message('when.broken')}</h1>
      <p>{what}</p>
      <p className="soft">{next}</p>
      <p className="faint">{message('screen.notice.code', { code })}</p>
    </div>
  );
}

function Now({ status }: { status: PolicyStatus }): React.ReactNode {
  const decision = toldDecision(status);
  if (decision === undefined) return null;
  return (
    <p className="why" role="status">
      {say(decision.reason)}
      {decision.until !== null && ` ${message('when.until', { time: timeText(decision.until) })}`}
    </p>
  );
}

/** What can be ordered just now, beside Home's pause: none of it changes a rule. */
function Orders({
  status,
  live,
  agentState,
}: {
  status: PolicyStatus;
  live: boolean;
  agentState: Snapshot['state']['name'];
}): React.ReactNode {
  const agent = useAgent();
  const act = useAct();
  const told = toldDecision(status);
  const stopped = told?.act === 'pause';
  const button = (words: string, work: () => Promise<void>) => (
    <button
      type="button"
      className="button ghost"
      aria-disabled={!live || act.busy}
      onClick={() => {
        if (live) void act.run(work);
      }}
    >
      {words}
    </button>
  );
  return (
    <div className="orders">
      {stopped &&
        told.rules.some((rule) => rule !== 'manual') &&
        button(message('when.start-anyway'), () => agent.policy.startAnyway(HOUR_MS))}
      {agentState === 'paused' && button(message('screen.resume'), agent.resume)}
      {!stopped && button(message('when.until-away'), () => agent.policy.pause('until-idle'))}
      {!stopped && button(message('when.finish'), () => agent.policy.pause('finish'))}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </div>
  );
}

function Presets({ rules, onChange }: { rules: Rules; onChange: Change }): React.ReactNode {
  return (
    <fieldset className="presets">
      <legend>{message('when.presets')}</legend>
      {PRESET_NAMES.map((preset) => (
        <label key={preset} className="preset">
          <input type="radio" name="preset" checked={rules.preset === preset} onChange={() => onChange({ preset })} />
          <b>{message(`when.preset.${preset}`)}</b>
          <span className="soft">{message(`when.preset.${preset}.what`)}</span>
        </label>
      ))}
      {rules.preset === null && <p className="soft">{message('when.presets.own')}</p>}
    </fieldset>
  );
}

const CURRENCIES = ['EUR', 'USD', 'GBP', 'CHF', 'JPY', 'CNY', 'KRW', 'INR', 'AUD', 'CAD', 'BRL', 'SEK', 'NOK', 'DKK', 'PLN', 'CZK'];

/** A price for each hour has no field here: it is said to be there, and kept. */
function Money({ rules, onChange }: { rules: Rules; onChange: Change }): React.ReactNode {
  const { electricity } = rules;
  const hourly = electricity.tariff?.kind === 'hourly';
  const currencies = CURRENCIES.includes(electricity.currency) ? CURRENCIES : [electricity.currency, ...CURRENCIES];
  return (
    <Group
      title="when.group.power"
      fields={hourly ? POWER.filter(({ label }) => label !== 'when.tariff') : POWER}
      rules={rules}
      onChange={onChange}
    >
      {hourly && <p className="soft">{message('when.tariff.hourly')}</p>}
      <label className="number-field">
        {message('when.currency')}
        <select
          value={electricity.currency}
          onChange={(event) => onChange({ electricity: { ...electricity, currency: event.target.value } })}
        >
          {currencies.map((currency) => (
            <option key={currency}>{currency}</option>
          ))}
        </select>
      </label>
    </Group>
  );
}

interface GroupProps {
  children?: React.ReactNode;
  title: 'when.group.in-use' | 'when.group.others' | 'when.group.heat' | 'when.group.power';
  fields: readonly Field[];
  rules: Rules;
  onChange: Change;
}

function Group({ title, fields, rules, onChange, children }: GroupProps): React.ReactNode {
  return (
    <section className="card" aria-label={message(title)}>
      <div className="head">
        <h2>{message(title)}</h2>
      </div>
      <Fields fields={fields} rules={rules} onChange={onChange} />
      {children}
    </section>
  );
}

function Times({ rules, onChange }: { rules: Rules; onChange: Change }): React.ReactNode {
  const { schedule, quiet } = rules;
  const set = (sections: RulesChange): void => onChange(sections);
  return (
    <section className="card" aria-label={message('when.group.hours')}>
      <div className="head">
        <h2>{message('when.group.hours')}</h2>
      </div>
      <div className="fields">
        <label className="check">
          <input
            type="checkbox"
            checked={schedule.only}
            onChange={(event) => set({ schedule: { ...schedule, only: event.target.checked } })}
          />
          {message('when.schedule')}
        </label>
        {schedule.only && (
          <div className="more">
            <Hours windows={schedule.windows} onChange={(windows) => set({ schedule: { ...schedule, windows } })} />
          </div>
        )}
        <div>
          <h3>{message('when.quiet')}</h3>
          <Hours windows={quiet.windows} onChange={(windows) => set({ quiet: { ...quiet, windows } })} />
          {quiet.windows.length > 0 && <Fields fields={QUIET} rules={rules} onChange={onChange} />}
        </div>
      </div>
    </section>
  );
}
