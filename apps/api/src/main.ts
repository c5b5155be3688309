import { runProcess } from '../../process.js';
import { startApi } from './api.js';

await runProcess('api', startApi);
