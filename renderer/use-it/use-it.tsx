import { useId, useRef, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { isOpen } from '../agent/answers.ts';
import type { AppState } from '../agent/app-state.ts';
import { RetryCountdown } from '../frame/retry.tsx';
import { AnswerCard } from './answer-card.tsx';

const EXAMPLES = ['screen.use.example.1', 'screen.use.example.2', 'screen.use.example.3'] as const;
const MAX_PROMPT = 400;

/** What does the model say to this? */
export function UseIt({ state: { answers, link, snapshot } }: { state: AppState }): React.ReactNode {
  const agent = useAgent();
  const [prompt, setPrompt] = useState('');
  const [vary, setVary] = useState(false);
  const [missing, setMissing] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const id = useId();
  const answering = answers.some(isOpen);
  const askable = !answering && link.name === 'live';

  function ask(words: string): void {
    if (!askable) return;
    setMissing(words.trim() === '');
    if (words.trim() === '') {
      box.current?.focus();
      return;
    }
    void agent.ask(words.trim(), vary);
  }

  return (
    <div className="use">
      <h1>{message('screen.use.title')}</h1>
      <p className="why">{message('screen.use.lead')}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          ask(prompt);
        }}
      >
        <label htmlFor={`${id}prompt`}>{message('screen.use.prompt')}</label>
        <div className="ask">
          <input
            id={`${id}prompt`}
            ref={box}
            className="mono"
            type="text"
            maxLength={MAX_PROMPT}
            autoComplete="off"
            spellCheck={false}
            placeholder={message('screen.use.example.1')}
            aria-invalid={missing}
            aria-describedby={missing ? `${id}missing` : undefined}
            value={prompt}
            onChange={(event) => {
              setPrompt(event.target.value);
              setMissing(false);
            }}
          />
          <button type="submit" className="button" aria-disabled={!askable}>
            {message('screen.use.ask')}
          </button>
        </div>
        {missing && (
          <p className="bad" id={`${id}missing`} role="alert">
            {message('screen.use.empty')}
          </p>
        )}
        <div className="options">
          <span className="examples">
            <span className="faint">{message('screen.use.examples')}</span>
            {EXAMPLES.map((example) => (
              <button
                key={example}
                type="button"
                className="plain mono"
                onClick={() => {
                  setPrompt(message(example));
                  setMissing(false);
                  box.current?.focus();
                }}
              >
                {message(example)}
              </button>
            ))}
          </span>
          <label className="check">
            <input type="checkbox" checked={vary} onChange={(event) => setVary(event.target.checked)} />
            {message('screen.use.vary')}
          </label>
        </div>
      </form>
      {link.name !== 'live' && (
        <p role="status">
          {message('screen.link.lost')}. <RetryCountdown link={link} />
        </p>
      )}
      {link.name === 'live' && snapshot?.state.name === 'paused' && (
        <p role="status">
          {message('screen.use.paused')}{' '}
          <button type="button" className="plain" onClick={() => void agent.resume()}>
            {message('screen.resume')}
          </button>
        </p>
      )}
      <section aria-label={message('screen.use.answers')} className="answers">
        {answers.length === 0 ? (
          <p className="empty">{message('screen.use.none')}</p>
        ) : (
          answers.map((answer) => <AnswerCard key={answer.id} answer={answer} />)
        )}
      </section>
      <details>
        <summary>{message('screen.use.more')}</summary>
        <p className="soft">{message('screen.use.more.what')}</p>
      </details>
    </div>
  );
}
