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

"""Files that were made to attack who reads them, and what comes of that.

``corpus`` has them all; ``ours`` and ``upstream`` let our driver, and Cinder's
own RemoteFS code, run into them through everything that a tenant can call.
``python -m tests.attacks.matrix`` makes the table of it for the documentation.
"""
