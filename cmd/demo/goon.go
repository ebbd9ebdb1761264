package main

import (
	"fmt"
	"net"
)

// printHowToGoOn prints commands that work against this very process.
func (w *walk) printHowToGoOn() {
	mysqlHost, mysqlPort, _ := net.SplitHostPort(w.mysql.Addr()) // an address of our own listener
	fmt.Fprintf(w.out.w, `
It stays up; Ctrl-C ends it, and its data with it. Go on in a browser, with a phone and what crosses the wire:

  %[6]s/

Or by hand:

  # Bob logs in: a code from the simulated phone, exchanged for a token
  curl -s -X POST '%[1]s/sim/login?user=bob'
  curl -s http://%[2]s/onLogin -d code=CODE

  # Bob's profile: encryptedData and iv from the phone, sent with the token
  curl -s -X POST '%[1]s/sim/userinfo?user=bob'
  curl -s http://%[2]s/updateUserInfo -d token=TOKEN --data-urlencode encryptedData=DATA --data-urlencode iv=IV

  # What admins and operators see
  mysql -h %[3]s -P %[4]s -u root wxlogin -e 'SELECT * FROM user_profiles\G'
  curl -s http://%[5]s/readyz
  curl -s http://%[5]s/metrics
`, w.wxsimURL, w.server.PublicAddr(), mysqlHost, mysqlPort, w.server.InternalAddr(), w.pageURL)
}
