"""What the made-up world is made of: places, diagnoses, illnesses, drugs, acts, kinds of stays, laboratory. Data only.

Codes and names are those of the public French and OMOP vocabularies; frequencies are rough; prices, and the numbers of
drugs, hospitals and professionals, are made up.
"""
