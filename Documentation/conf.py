# SPDX-License-Identifier: GPL-2.0
# Sphinx configuration of the documentation, in the style of the kernel's: sphinx-build Documentation html

project = 'expertmem'
copyright = 'The expertmem developers'
release = version = open('../VERSION').read().strip()

extensions = []
exclude_patterns = ['man']
highlight_language = 'none'
language = 'en'

html_theme = 'alabaster'
html_theme_options = {'description': release, 'page_width': '65em', 'sidebar_width': '15em'}
html_sidebars = {'**': ['about.html', 'searchbox.html', 'localtoc.html', 'globaltoc.html']}
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
