# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The command line: each command is one call of the driver."""

import os
import warnings

# Where eventlet is installed, as it is with Cinder, libraries below import it
# and it says that it is deprecated: nothing that an operator can act on.
warnings.filterwarnings('ignore', message='\\s*Eventlet is deprecated')

# It would read a resolver for greenlets, which there are none of here: that is
# a third of the time that the program takes to start.
os.environ.setdefault('EVENTLET_NO_GREENDNS', 'yes')
