"""What only a notebook has: a line that changes in place. Pictures show themselves (`chainrule.draw.card`)."""

from chainrule.notebook.display import Live as Live
from chainrule.notebook.display import in_notebook as in_notebook
