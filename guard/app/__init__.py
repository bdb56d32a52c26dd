"""Where the parts meet: the only place that builds objects of several rooms."""
