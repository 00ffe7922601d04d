// Compiles resources/contracts/*.sol with the pinned solc into the artifacts beside them: `node scripts/contracts.mjs`. With `--check` it only says
// whether they are what the sources compile to.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import solc from 'solc';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'resources/contracts');
const NAMES = ['HearthlendEscrow'];
/** The oldest rules that the contract's imports compile under. The code's own hash is left out, so that one source gives one bytecode everywhere. */
const SETTINGS = { optimizer: { enabled: true, runs: 10_000 }, evmVersion: 'cancun', metadata: { bytecodeHash: 'none' } };

/**
 * What contracts of one file compile to, by name.
 * @returns {Record<string, {contract: string, compiler: string, settings: object, source: string, abi: object[], bytecode: string, deployedBytecode: string}>}
 *   `source`: SHA-256 of the text; both codes as 0x and hex digits
 */
export function compileContracts(names, source, file) {
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: source } },
    settings: { ...SETTINGS, outputSelection: { [file]: { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } } },
  };
  const findImport = (path) => {
    if (!path.startsWith('@openzeppelin/contracts/') || path.includes('..')) return { error: `${path} is not of a known package` };
    return { contents: readFileSync(join(root, 'node_modules', path), 'utf8') };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const faults = output.errors ?? [];
  if (faults.length > 0) throw new Error(faults.map((fault) => fault.formattedMessage).join('\n'));
  const made = (name) => {
    const { abi, evm } = output.contracts[file][name];
    return {
      contract: name,
      compiler: solc.version(),
      settings: SETTINGS,
      source: createHash('sha256').update(source).digest('hex'),
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    };
  };
  return Object.fromEntries(names.map((name) => [name, made(name)]));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const name of NAMES) {
    const path = join(folder, `${name}.json`);
    const file = `${name}.sol`;
    const made = compileContracts([name], readFileSync(join(folder, file), 'utf8'), file);
    const text = `${JSON.stringify(made[name], null, 1)}\n`;
    if (!process.argv.includes('--check')) writeFileSync(path, text);
    else if (readFileSync(path, 'utf8') !== text) {
      console.error(`${path} is not what ${name}.sol compiles to: node scripts/contracts.mjs`);
      process.exitCode = 1;
    }
  }
}
