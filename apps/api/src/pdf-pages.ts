/* Counts the pages of a PDF, in a thread of its own: what reads a stranger's document may take long or too much, and is then ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { getDocumentProxy } from 'unpdf';

/** What became of it: the pages, or why there are none. */
export type Counted = { readonly pages: number } | { readonly why: 'broken' | 'locked' };

async function count(bytes: Uint8Array): Promise<Counted> {
  try {
    const document = await getDocumentProxy(bytes, { verbosity: 0 });
    // A document whose last page cannot be found has fewer than it says.
    await document.getPage(document.numPages);
    return { pages: document.numPages };
  } catch (error) {
    // What the library throws is no error of this realm's.
    return { why: (error as { name?: unknown } | null)?.name === 'PasswordException' ? 'locked' : 'broken' };
  }
}

parentPort?.postMessage(await count(workerData as Uint8Array));
