// npm smpp as a message centre: answers binds, submits and queries. Prints its port when it listens.
const smpp = require(process.env.NODE_PATH + '/smpp');
let next = 0;
const server = smpp.createServer((session) => {
  session.on('pdu', (pdu) => {
    switch (pdu.command) {
      case 'bind_transceiver': case 'bind_transmitter': case 'bind_receiver':
        return session.send(pdu.response({ system_id: 'npm' }));
      case 'submit_sm':
        next += 1;
        return session.send(pdu.response({ message_id: `npm-${next}` }));
      case 'query_sm':
        return session.send(pdu.response({ message_id: pdu.message_id, message_state: 2 }));
      case 'unbind':
        session.send(pdu.response());
        return session.close();
      default:
        return pdu.isResponse() ? undefined : session.send(pdu.response());
    }
  });
  session.on('error', () => {});
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
