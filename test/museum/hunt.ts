/* Tells stories until one is wrong, for the museum: hunt.js <seeds>. The last line is the seed and what was wrong, or "nothing". */
import { tell } from '../simulation/story.js';

const seeds = Number(process.argv[2]);
let found = 'nothing';
for (let seed = 1; seed <= seeds && found === 'nothing'; seed += 1) {
  const { wrong } = await tell(seed);
  if (wrong[0] !== undefined) found = `${seed} ${wrong[0].replaceAll('\n', ' ')}`;
}
console.log(found);
