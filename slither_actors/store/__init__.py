"""Stores: shared tables that every process reads in place and one owner writes."""
