/**
 * Reads the JSON results of the tests and of the proofs, prints the closing line of CI, and sets the exit code.
 *
 * Fails when a test failed, when no test ran or a file of results is missing, when another step of `verify` failed (CB_VERIFY_STATUS), and when a test
 * was skipped for want of a server (its name says "[skipped: no redis]") although that server answers here, or for want of a
 * program that is here.
 */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';

interface TestResults {
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

const SERVERS = [
  { word: 'postgres', port: 5432 },
  { word: 'redis', port: 6379 },
  { word: 'nats', port: 4222 },
] as const;

const PROGRAMS = ['cc'] as const;

const reachable = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1_000 });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });

const readResults = async (path: string): Promise<TestResults['testResults']> => {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as TestResults).testResults;
  } catch (error) {
    faults.push(`no results: ${String(error)}`);
    return [];
  }
};

const verifyStatus = Number(process.env['CB_VERIFY_STATUS'] ?? '0');
const faults: string[] = [];
const testResults = (await Promise.all(process.argv.slice(2).map(readResults))).flat();
const tests = testResults.flatMap((file) => file.assertionResults);

const passed = tests.filter((test) => test.status === 'passed').length;
const skipped = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
let failed = tests.filter((test) => test.status === 'failed').length;

for (const file of testResults) {
  const broken = file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed');
  if (broken) {
    failed += 1;
    faults.push(`${file.name} could not be run: ${file.message ?? 'no message'}`);
  }
}

const skippedForWantOf = (word: string): typeof skipped =>
  skipped.filter((test) => {
    const reason = /\[skipped: no ([^\]]+)\]/i.exec(test.fullName)?.[1];
    return reason !== undefined && new RegExp(`\\b${word}\\b`, 'i').test(reason);
  });

for (const word of PROGRAMS) {
  const forWantOfIt = skippedForWantOf(word);
  if (forWantOfIt.length > 0 && spawnSync(word, ['--version']).status === 0) {
    failed += 1;
    faults.push(`${word} is here, yet ${forWantOfIt.length} tests were skipped for want of it`);
  }
}

for (const { word, port } of SERVERS) {
  const forWantOfIt = skippedForWantOf(word);
  if (forWantOfIt.length > 0 && (await reachable(port))) {
    failed += 1;
    faults.push(`${word} answers on port ${port}, yet ${forWantOfIt.length} tests were skipped for want of it`);
  }
}

if (passed + failed === 0) faults.push('no test ran');
if (verifyStatus !== 0 && failed === 0) faults.push(`npm run verify ended with status ${verifyStatus}`);
if (faults.length > 0 && failed === 0) failed = 1;

for (const fault of faults) console.error(`FAULT ${fault}`);
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
