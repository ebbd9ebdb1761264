package embedded

import (
	"io"
	"sync"

	"github.com/sirupsen/logrus"
)

// silenceEngine turns off the standard logger of logrus, which the engine writes to. Nothing else in this program
// uses logrus.
var silenceEngine = sync.OnceFunc(func() {
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.PanicLevel)
})
