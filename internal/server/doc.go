// Package server wires wxlogin together and runs it:
//
//	srv, err := server.Start(ctx, c, server.Options{Logger: logger}) // c is a config.Config
//	if err != nil {
//		return err
//	}
//	<-ctx.Done()
//	srv.Drain(context.Background())
//	err = srv.Shutdown(context.Background())
//
// The commands wxlogin and demo share it, so that the demo shows the real server.
//
//	cmd/wxlogin, cmd/demo -> server -> config, redisclient
//	                                -> handlers -> session, store, wechat
package server
