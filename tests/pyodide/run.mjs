// node run.mjs PYODIDE WHEEL PURE: runs tests/pyodide/inside.py in a Python that is WebAssembly.
// PYODIDE is the folder of that package, WHEEL has the installed gost_core, PURE what the tests need.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [pyodide, wheel, pure] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(pyodide, "pyodide.mjs")));
const python = await loadPyodide();
const folders = { "/tree": ".", "/wheel/gost_core": resolve(wheel, "gost_core"), "/pure": pure };
for (const [folder, root] of Object.entries(folders)) {
  python.FS.mkdirTree(folder);
  python.FS.mount(python.FS.filesystems.NODEFS, { root }, folder);
}
process.exitCode = python.runPython(`
import os, sys

os.chdir("/tree")
sys.path[:0] = ["/wheel", "/pure", "/tree"]
sys.dont_write_bytecode = True
from tests.pyodide import inside

inside.main()
`);
