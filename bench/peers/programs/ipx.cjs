// ipx as its manual starts it, over a folder of files.
const http = require('http');
const {createIPX, createIPXNodeServer, ipxFSStorage} = require('ipx');

const ipx = createIPX({storage: ipxFSStorage({dir: process.env.FILES})});
http.createServer(createIPXNodeServer(ipx)).listen(Number(process.env.PORT), '127.0.0.1');
