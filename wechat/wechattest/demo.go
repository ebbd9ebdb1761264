package wechattest

// The mini-program of the demo, of cmd/wxsim and of docker-compose.yml. They open nothing at WeChat: the simulator only
// compares them.
const (
	DemoAppID  = "wx000000000000demo"
	DemoSecret = "demosecret0000000000000000000000"
)
