// Each server has a loopback address of its own, where the system has them: so a server that is started again finds its
// ports free, whatever other tests open meanwhile.
let hosts = 0;
export function ownHost() {
  if (process.platform !== "linux") return "127.0.0.1";
  hosts += 1;
  return `127.${1 + (process.pid % 250)}.${1 + ((process.pid >> 8) % 250)}.${1 + (hosts % 250)}`;
}
