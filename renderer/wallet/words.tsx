import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import { useAgent } from '../agent/agent.ts';
import { useAct } from '../words/use-act.ts';
import { Field, Submit } from './fields.tsx';

/** Recovery words, shown once, then some of them asked for again. They live in this component alone and go with it. */
export function Words({ words, onDone }: { words: RevealedWords; onDone(): void }): React.ReactNode {
  const [step, setStep] = useState<'show' | 'confirm'>('show');
  if (step === 'confirm') return <Confirm ask={words.ask} onBack={() => setStep('show')} onDone={onDone} />;
  return (
    <section className="card words" aria-labelledby="words-title">
      <div>
        <h1 id="words-title" ref={focusOn} tabIndex={-1}>
          {message('screen.wallet.words')}
        </h1>
        <p className="why">{message('screen.wallet.words.why')}</p>
      </div>
      <ol>
        {words.words.map((word, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a word may come twice, and none of them moves
          <li key={index} className="mono">
            {word}
          </li>
        ))}
      </ol>
      <div className="press">
        <button type="button" className="button" onClick={() => setStep('confirm')}>
          {message('screen.wallet.words.written')}
        </button>
        <button type="button" className="plain" onClick={onDone}>
          {message('screen.wallet.words.later')}
        </button>
      </div>
    </section>
  );
}

function Confirm({ ask, onBack, onDone }: { ask: number[]; onBack(): void; onDone(): void }): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const [typed, setTyped] = useState<string[]>(() => ask.map(() => ''));
  return (
    <section className="card words" aria-labelledby="words-title">
      <div>
        <h1 id="words-title" ref={focusOn} tabIndex={-1}>
          {message('screen.wallet.confirm')}
        </h1>
        <p className="why">{message('screen.wallet.confirm.why')}</p>
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.some((word) => word.trim() === '')) return act.refuse(message('screen.wallet.import.empty'));
          void act.run(() => wallet.confirm(typed)).then((worked) => worked && onDone());
        }}
      >
        {ask.map((number, index) => (
          <Field
            key={number}
            label={message('screen.wallet.confirm.word', { number })}
            mono
            value={typed[index] ?? ''}
            onChange={(word) => setTyped(typed.map((each, at) => (at === index ? word : each)))}
          />
        ))}
        <Submit act={act} label={message('screen.wallet.confirm.check')}>
          <button type="button" className="plain" onClick={onBack}>
            {message('screen.wallet.confirm.back')}
          </button>
        </Submit>
      </form>
    </section>
  );
}

/** The keyboard and the reader go on where the words are. Stable, so it is called once for each heading. */
function focusOn(heading: HTMLElement | null): void {
  heading?.focus();
}
