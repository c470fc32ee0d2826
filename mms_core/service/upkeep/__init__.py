"""What keeps the service honest: nothing lost, nothing kept too long, people told, rights looked after."""
